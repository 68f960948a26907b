From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* The Eckart-Young theorem in the Frobenius norm at every rank at once, for  *)
(* a matrix given by its singular value decomposition (SVD-1, SVD-2).         *)
(* spectral.v proves that every matrix has one.                               *)
(*                                                                            *)
(*      Pi A r == the projector onto the rows of A_r, for orthonormal rows    *)
(*   Wproj W A r == W_r for the factors B = W A^T and A                       *)
(*      U, s, V == W = U diag(s) V^T                        np.linalg.svd(W)  *)
(* U diag(s), V^T == its factors B and A; the split of s between them is a    *)
(*                 gauge (GAU-1)                            factorise_svd(W)  *)
(******************************************************************************)

Section OrthonormalRows.

Variables (F : realFieldType) (d_out d_in R : nat).
Variables (W : 'M[F]_(d_out, d_in)) (A : 'M[F]_(R, d_in)).
Hypothesis orthoA : A *m A^T = 1%:M.

Definition Pi r : 'M[F]_d_in := A^T *m (pid_mx r : 'M_R) *m A.
Definition Wproj r : 'M[F]_(d_out, d_in) := Wpre (W *m A^T) A r.

Lemma Wproj_E r : Wproj r = W *m Pi r.
Proof. by rewrite /Wproj WpreE /Pi !mulmxA. Qed.

Lemma Pi_mul r s : Pi r *m Pi s = Pi (minn r s).
Proof.
rewrite /Pi !mulmxA -(mulmxA _ A A^T) orthoA mulmx1 -(mulmxA A^T) mul_pid_mx.
by rewrite pid_mx_minh.
Qed.

Lemma is_proj_Pi r : is_proj (Pi r).
Proof.
split; last by rewrite Pi_mul minnn.
by rewrite /Pi !trmx_mul trmxK tr_pid_mx mulmxA.
Qed.

Lemma pythagoras r : sqn W = sqn (Wproj r) + sqn (W - Wproj r).
Proof.
by rewrite (sqn_proj W (is_proj_Pi r)) Wproj_E mulmxBr mulmx1.
Qed.

Lemma residual_split r s : (r <= s)%N ->
  sqn (W - Wproj r) = sqn (W - Wproj s) + sqn (Wproj s - Wproj r).
Proof.
move=> rs; have e : (W - Wproj r) *m Pi s = Wproj s - Wproj r.
  by rewrite !Wproj_E mulmxBl -(mulmxA W) Pi_mul (minn_idPl rs).
rewrite (sqn_proj _ (is_proj_Pi s)) addrC e mulmxBr mulmx1 e opprB addrA.
by rewrite subrK.
Qed.

(* SVD-2. If A has orthonormal rows and B = W A^T, the residual W - W_r never grows with r. *)
Theorem residual_nonincreasing r s : (r <= s)%N ->
  sqn (W - Wproj s) <= sqn (W - Wproj r).
Proof. by move=> rs; rewrite (residual_split rs) ler_addl sqn_ge0. Qed.

(* SVD-2. The step from r to s is the energy of the columns of B between them. *)
Theorem residual_step r s : (r <= s)%N ->
  sqn (Wproj s - Wproj r) =
  \sum_(i < R | (r <= i < s)%N) sqn (col i (W *m A^T)).
Proof.
move=> rs; set B := W *m A^T.
have -> : Wproj s - Wproj r = B *m ((pid_mx s : 'M_R) - pid_mx r) *m A.
  by rewrite /Wproj !WpreE -mulmxBl -mulmxBr.
have iso p (M : 'M[F]_(p, R)) : sqn (M *m A) = sqn M.
  by rewrite /sqn /frob mxtrace_mulC trmx_mul mulmxA -(mulmxA M) orthoA mulmx1 mxtrace_mulC.
rewrite iso; clearbody B; rewrite sqnE exchange_big [RHS]big_mkcond; apply: eq_bigr => i _ /=.
have E k : (B *m ((pid_mx s : 'M_R) - pid_mx r)) k i = B k i * ((r <= i < s)%N)%:R.
  rewrite mxE (bigD1 i) //= big1 ?addr0 => [|l li]; rewrite !mxE; last first.
    by rewrite (inj_eq val_inj) (negPf li) subrr mulr0.
  rewrite eqxx /=; congr (_ * _).
  case: (ltnP i r) => [ir | ri]; last by rewrite subr0.
  by rewrite (leq_trans ir rs) subrr.
case: ifP => h; last by rewrite big1 // => k _; rewrite E h mulr0 expr0n.
rewrite sqnE; apply: eq_bigr => k _.
by rewrite E h mulr1 big_ord1 mxE.
Qed.

(* SVD-2. No matrix whose rows lie in the span of A_r is nearer to W than W_r. *)
Theorem prefix_best_in_rowspace r (Y : 'M[F]_(d_out, d_in)) :
  (Y <= rowpre A r)%MS -> sqn (W - Wproj r) <= sqn (W - Y).
Proof.
move=> /submxP[C eY].
have YP : Y *m Pi r = Y.
  rewrite eY -mulmxA /rowpre /Pi !mulmxA -(mulmxA _ A A^T) orthoA mulmx1.
  by congr (_ *m A); rewrite -mulmxA mul_pid_mx minnn pid_mx_minh.
rewrite Wproj_E -{1}[W]mulmx1 -mulmxBr.
have -> : W *m (1%:M - Pi r) = (W - Y) *m (1%:M - Pi r).
  by rewrite mulmxBl [Y *m _]mulmxBr mulmx1 YP subrr subr0.
exact: sqn_proj_le (is_proj_Pi r).
Qed.

End OrthonormalRows.

Section EckartYoung.

Variables (F : realFieldType) (d_out d_in k : nat).
Variables (U : 'M[F]_(d_out, k)) (V : 'M[F]_(d_in, k)) (s : 'rV[F]_k).
Hypothesis orthoU : U^T *m U = 1%:M.
Hypothesis orthoV : V^T *m V = 1%:M.
Hypothesis sorted_s : forall i j : 'I_k, (i <= j)%N -> s 0 j ^+ 2 <= s 0 i ^+ 2.
Let W : 'M[F]_(d_out, d_in) := U *m diag_mx s *m V^T.

(* A sum of sorted weights, each taken at most once and r times in all, is at most the first r of them. *)
Lemma knapsack (p : 'I_k -> F) (r : nat) :
  (forall i, 0 <= p i <= 1) -> \sum_i p i <= r%:R ->
  \sum_i s 0 i ^+ 2 * p i <= \sum_(i < k | (i < r)%N) s 0 i ^+ 2.
Proof.
move=> p01 sp; case: (leqP k r) => [kr | rk].
  rewrite [leRHS](eq_bigl xpredT) => [|i]; last by rewrite (leq_trans (ltn_ord i)).
  apply: ler_sum => i _; have /andP[_ p1] := p01 i.
  by rewrite -[leRHS]mulr1 ler_wpmul2l ?sqr_ge0.
set t := s 0 (Ordinal rk) ^+ 2.
have t0 : 0 <= t by rewrite sqr_ge0.
rewrite -subr_le0 [X in _ - X]big_mkcond -sumrB.
have sr : \sum_(i < k) (if (i < r)%N then 1 else 0) = r%:R :> F.
  by rewrite -big_mkcond /= (big_ord_narrow (ltnW rk)) sumr_const card_ord.
apply: le_trans (_ : \sum_i t * (p i - (if (i < r)%N then 1 else 0)) <= _).
  apply: ler_sum => i _; have /andP[p0 p1] := p01 i.
  case: ltnP => ir; last first.
    by rewrite !subr0 ler_wpmul2r // sorted_s.
  rewrite -{2}[s 0 i ^+ 2]mulr1 -mulrBr ler_wnmul2r ?subr_le0 //.
  by apply: sorted_s; exact: ltnW.
rewrite -mulr_sumr sumrB sr.
by apply: mulr_ge0_le0; rewrite ?subr_le0.
Qed.

Lemma sqn_WP (P : 'M[F]_d_in) :
  is_proj P -> sqn (W *m P) = \sum_i s 0 i ^+ 2 * (V^T *m P *m V) i i.
Proof.
move=> hP; rewrite (sqn_projE _ hP) {2}/W !trmx_mul trmxK tr_diag_mx.
rewrite !mulmxA mxtrace_mulC /W !mulmxA orthoU mul1mx; apply: eq_bigr => i _.
rewrite -2!(mulmxA (diag_mx s)) mul_mx_diag mxE mul_diag_mx mxE.
by rewrite mulrAC -expr2.
Qed.

Lemma sqn_svd : sqn W = \sum_i s 0 i ^+ 2.
Proof.
have h1 : is_proj (1%:M : 'M[F]_d_in) by split; rewrite ?trmx1 ?mulmx1.
rewrite -[W]mulmx1 sqn_WP //; apply: eq_bigr => i _.
by rewrite mulmx1 orthoV mxE eqxx mulr1.
Qed.

Lemma proj_V : is_proj (V *m V^T).
Proof.
split; first by rewrite trmx_mul trmxK.
by rewrite mulmxA -(mulmxA V) orthoV mulmx1.
Qed.

Lemma leverage_bounds (P : 'M[F]_d_in) : is_proj P ->
  (forall i, 0 <= (V^T *m P *m V) i i <= 1) /\
  \sum_i (V^T *m P *m V) i i <= \tr P.
Proof.
move=> hP; split=> [i | ].
  have E (Q : 'M[F]_d_in) : is_proj Q -> (V^T *m Q *m V) i i = sqn (row i V^T *m Q).
    move=> hQ; rewrite (sqn_projE _ hQ) -row_mul trace_mx11 !mxE.
    by apply: eq_bigr => j _; rewrite !mxE.
  have h1 : is_proj (1%:M : 'M[F]_d_in) by split; rewrite ?trmx1 ?mulmx1.
  rewrite E // sqn_ge0 /=.
  have s1 : sqn (row i V^T) = 1.
    by have := E _ h1; rewrite !mulmx1 orthoV [LHS]mxE eqxx => <-.
  by rewrite -[leRHS]s1 [leRHS](sqn_proj _ hP) ler_addl sqn_ge0.
have -> : \sum_i (V^T *m P *m V) i i = \tr (P *m (V *m V^T)).
  by rewrite mulmxA [RHS]mxtrace_mulC mulmxA.
rewrite -subr_ge0 -linearB /= -{1}[P]mulmx1 -mulmxBr.
have [sP iP] := hP.
rewrite -iP -mulmxA mxtrace_mulC -{2}sP.
by rewrite -(sqn_projE P (projC proj_V)) sqn_ge0.
Qed.

(* SVD-1. No matrix of rank at most r is nearer to W than the tail energy. *)
Theorem eckart_young (X : 'M[F]_(d_out, d_in)) r : (\rank X <= r)%N ->
  \sum_(i < k | (r <= i)%N) s 0 i ^+ 2 <= sqn (W - X).
Proof.
move=> rX; have [P [hP XP _ trP]] := row_projector X.
apply: le_trans (sqn_proj_le _ hP); rewrite mulmxBl [X *m _]mulmxBr mulmx1 XP.
rewrite subrr subr0 -(ler_add2l (sqn (W *m P))) -(sqn_proj W hP) sqn_svd.
have -> : \sum_i s 0 i ^+ 2 = \sum_(i < k | (i < r)%N) s 0 i ^+ 2 +
                               \sum_(i < k | (r <= i)%N) s 0 i ^+ 2.
  rewrite (bigID (fun i : 'I_k => (i < r)%N)) /=; congr (_ + _).
  by apply: eq_bigl => i; rewrite -leqNgt.
rewrite ler_add2r sqn_WP //; have [p01 sp] := leverage_bounds hP.
by apply: knapsack => //; apply: le_trans sp _; rewrite trP ler_nat.
Qed.

(* SVD-2. The residual of the SVD factors at rank r is the tail energy, at every r. *)
Theorem residual_is_tail r :
  sqn (W - Wpre (U *m diag_mx s) V^T r) = \sum_(i < k | (r <= i)%N) s 0 i ^+ 2.
Proof.
have orthoVT : V^T *m V^T^T = 1%:M by rewrite trmxK.
have eB : W *m V^T^T = U *m diag_mx s by rewrite trmxK /W -mulmxA orthoV mulmx1.
have eW q : Wpre (U *m diag_mx s) V^T q = Wproj W V^T q by rewrite /Wproj eB.
have full q : (k <= q)%N -> Wproj W V^T q = W.
  by move=> kq; rewrite -eW Wpre_beyond.
rewrite eW -{1}(full (maxn r k)) ?leq_maxr //.
rewrite residual_step ?leq_maxl // eB.
apply: eq_big => [i | i _].
  by rewrite leq_max (ltn_ord i) orbT andbT.
have -> : col i (U *m diag_mx s) = s 0 i *: col i U.
  by apply/colP=> j; rewrite mul_mx_diag !mxE mulrC.
rewrite sqnZ (_ : sqn (col i U) = 1) ?mulr1 //.
have e : (U^T *m U) i i = 1 by rewrite orthoU mxE eqxx.
rewrite -[RHS]e /sqn frobE mxE; apply: eq_bigr => j _.
by rewrite big_ord1 !mxE.
Qed.

(* SVD-1. So one factor pair is optimal at every rank at once. *)
Theorem svd_prefix_optimal (X : 'M[F]_(d_out, d_in)) r : (\rank X <= r)%N ->
  sqn (W - Wpre (U *m diag_mx s) V^T r) <= sqn (W - X).
Proof. by move=> rX; rewrite residual_is_tail; exact: eckart_young. Qed.

End EckartYoung.
