From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear norms eckart_young spectral.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* What the singular value decomposition does for a nested layer (SVD):       *)
(* surgery of a pretrained weight, plain and whitened, its error in the       *)
(* spectral norm, and training at several ranks.                              *)
(*                                                                            *)
(*       x *m W^T == the outputs of the dense layer W on the inputs x, so     *)
(*                   that nrm (x *m (W - Y)^T) is Y's error on these inputs   *)
(*         S S^T == x^T x, the Gram matrix      factorise_whitened(W, gram)   *)
(*     spec_le M c == the spectral norm of M is at most c                     *)
(*                                                 np.linalg.norm(M, 2) <= c  *)
(*   fit p rk x T B A == the sum over the ranks rk k, weighted by p k > 0, of *)
(*                   the squared errors of the outputs on x against the       *)
(*                   targets T: the loss of a linear nested model that is     *)
(*                   trained at these ranks                                   *)
(******************************************************************************)

Section Svd.

Variables (F : rcfType) (m n : nat).
Implicit Types (W X Y : 'M[F]_(m, n)).

Lemma nested_optimum W : exists (k : nat) (B : 'M[F]_(m, k)) (A : 'M[F]_(k, n)),
  [/\ W = B *m A, A *m A^T = 1%:M, (A <= W)%MS &
    forall r X, (\rank X <= r)%N -> nrm (W - Wpre B A r) <= nrm (W - X)].
Proof.
have [k [U [V [s [oU oV s0 ss eW]]]]] := thin_svd W.
exists k, (U *m diag_mx s), V^T; split=> //; first by rewrite trmxK.
  apply/submxP; exists (diag_mx (\row_i (s 0 i)^-1) *m U^T).
  rewrite eW !mulmxA -(mulmxA _ U^T) oU mulmx1 mulmx_diag (_ : diag_mx _ = 1%:M) ?mul1mx //.
  by apply/matrixP=> i j; rewrite !mxE; case: eqP => // ->; rewrite mulVf // gt_eqF.
move=> r X rX; apply: ler_wsqrtr; rewrite {1}eW [in X in _ <= X]eW.
exact: svd_prefix_optimal.
Qed.

(* SVD-1. Every matrix has a factor pair whose every prefix is optimal. *)
Theorem nested_optimum_exists W : exists (k : nat) (B : 'M[F]_(m, k)) (A : 'M[F]_(k, n)),
  [/\ W = B *m A, A *m A^T = 1%:M & forall r X, (\rank X <= r)%N -> nrm (W - Wpre B A r) <= nrm (W - X)].
Proof. by have [k [B [A [eW oA _ h]]]] := nested_optimum W; exists k, B, A. Qed.

End Svd.

Section Whitened.

Variables (F : rcfType) (d_in d_out N : nat).
Implicit Types (W Y : 'M[F]_(d_out, d_in)) (x : 'M[F]_(N, d_in)).

(* SVD-5. The output error depends on the inputs through their Gram matrix x^T x = S S^T only. *)
Theorem output_error W Y x q (S : 'M[F]_(d_in, q)) : x^T *m x = S *m S^T ->
  nrm (x *m (W - Y)^T) = nrm ((W - Y) *m S).
Proof.
move=> eS; rewrite -(nrm_tr (_ *m S)) /nrm /sqn /frob !trmx_mul !trmxK; move: (W - Y) => D.
by congr (Num.sqrt _); rewrite !mulmxA -(mulmxA D x^T) eS !mulmxA.
Qed.

(* SVD-5. Whitened surgery: with S invertible, and B_0 A_0 the SVD factors of W S, the factors
   B_0 and A_0 S^-1 are optimal for these inputs at every rank at once. *)
Theorem whitened_optimal W x (S : 'M[F]_d_in) k (B0 : 'M[F]_(d_out, k)) (A0 : 'M[F]_(k, d_in)) r Y :
  x^T *m x = S *m S^T -> S \in unitmx ->
  (forall Z, (\rank Z <= r)%N -> nrm (W *m S - Wpre B0 A0 r) <= nrm (W *m S - Z)) ->
  (\rank Y <= r)%N ->
  nrm (x *m (W - Wpre B0 (A0 *m invmx S) r)^T) <= nrm (x *m (W - Y)^T).
Proof.
move=> eS uS opt rY; rewrite !(output_error _ _ eS) !mulmxBl.
have -> : Wpre B0 (A0 *m invmx S) r *m S = Wpre B0 A0 r by rewrite !WpreE mulmxA mulmxKV.
by apply: opt; exact: leq_trans (mxrankM_maxl _ _) rY.
Qed.

(* SVD-5. For any inputs, also where their Gram matrix is singular: some factor pair is optimal
   for them at every rank at once. It equals W on these inputs, at full rank. *)
Theorem whitened_optimum_exists W x : exists (k : nat) (B : 'M[F]_(d_out, k)) (A : 'M[F]_(k, d_in)),
  x *m (B *m A)^T = x *m W^T /\
  forall r Y, (\rank Y <= r)%N -> nrm (x *m (W - Wpre B A r)^T) <= nrm (x *m (W - Y)^T).
Proof.
have [k [B [A0 [eZ _ /submxP[D eD] opt]]]] := nested_optimum (W *m x^T).
have out (M : 'M[F]_(d_out, d_in)) : x *m M^T = (M *m x^T)^T by rewrite trmx_mul trmxK.
have eP r : Wpre B (D *m W) r *m x^T = Wpre B A0 r by rewrite !WpreE -(mulmxA _ (D *m W)) -(mulmxA D) -eD.
exists k, B, (D *m W); split=> [|r Y rY].
  by rewrite !out -(Wpre_full B (D *m W)) eP Wpre_full -eZ.
rewrite !out !nrm_tr !mulmxBl eP; apply: opt; exact: leq_trans (mxrankM_maxl _ _) rY.
Qed.

(* Least squares: among all weights, errors differ by the error against one of them. *)
Lemma least_squares x (T : 'M[F]_(N, d_out)) : exists W c,
  forall Y, sqn (T - x *m Y^T) = c + sqn (x *m (W - Y)^T).
Proof.
have [P [hP xP /submxP[C eC] _]] := row_projector x^T.
exists (T^T *m C), (sqn (T^T *m (1%:M - P))) => Y.
rewrite -(sqn_tr (T - _)) -(sqn_tr (x *m _)) !linearB /= !(trmx_mul x) !trmxK (sqn_proj _ hP) addrC; congr (_ + _).
  congr sqn; rewrite !mulmxBr !mulmx1 mulmxBl -(mulmxA Y) xP; apply/eqP; rewrite subr_eq; apply/eqP.
  by rewrite addrA subrK.
by congr sqn; rewrite !mulmxBl -(mulmxA Y) xP -mulmxA -eC.
Qed.

(* SVD-6. For any inputs and targets, some factor pair is the best fit at every rank at once. *)
Theorem best_fit_exists x (T : 'M[F]_(N, d_out)) : exists (k : nat) (B : 'M[F]_(d_out, k)) (A : 'M[F]_(k, d_in)),
  forall r Y, (\rank Y <= r)%N -> sqn (T - x *m (Wpre B A r)^T) <= sqn (T - x *m Y^T).
Proof.
have [W [c eW]] := least_squares x T; have [k [B [A [_ opt]]]] := whitened_optimum_exists W x.
exists k, B, A => r Y rY; rewrite !eW ler_add2l -!nrm_sqr ler_expn2r ?nnegrE ?nrm_ge0 //; exact: opt.
Qed.

Variables (K : finType) (p : K -> F) (rk : K -> nat) (R : nat).

Definition fit x T (B : 'M[F]_(d_out, R)) (A : 'M[F]_(R, d_in)) : F :=
  \sum_k p k * sqn (T - x *m (Wpre B A (rk k))^T).

Lemma best_fit_R x T : exists (B : 'M[F]_(d_out, R)) (A : 'M[F]_(R, d_in)),
  forall r Y, (r <= R)%N -> (\rank Y <= r)%N -> sqn (T - x *m (Wpre B A r)^T) <= sqn (T - x *m Y^T).
Proof.
have [q [B [A opt]]] := best_fit_exists x T; exists (B *m pid_mx R), (pid_mx R *m A) => r Y rR rY.
suff -> : Wpre (B *m pid_mx R : 'M_(d_out, R)) (pid_mx R *m A) r = Wpre B A r by exact: opt.
rewrite !WpreE !mulmxA -!(mulmxA B) !mul_pid_mx.
by rewrite !(minn_idPr rR) (minn_idPl rR) (minn_idPr rR).
Qed.

Hypothesis p_gt0 : forall k, 0 < p k.
Hypothesis rk_le : forall k, (rk k <= R)%N.

(* SVD-6. The training loss has a global minimum ... *)
Theorem fit_min_exists x T : exists B A, forall B' A', fit x T B A <= fit x T B' A'.
Proof.
have [B [A opt]] := best_fit_R x T; exists B, A => B' A'; apply: ler_sum => k _.
by rewrite (ler_wpmul2l (ltW (p_gt0 _))) // opt ?rk_le // mulmx_max_rank.
Qed.

(* SVD-6. ... and each global minimum is a minimum at each rank, since one factor pair is
   optimal at all of them. With x = 1 and T = W^T that is the truncated SVD of W (SVD-1). *)
Theorem fit_recovers x T (B : 'M[F]_(d_out, R)) (A : 'M[F]_(R, d_in)) :
  (forall B' A', fit x T B A <= fit x T B' A') ->
  forall k Y, (\rank Y <= rk k)%N -> sqn (T - x *m (Wpre B A (rk k))^T) <= sqn (T - x *m Y^T).
Proof.
move=> minBA k Y rY; have [B' [A' opt]] := best_fit_R x T.
apply: le_trans (opt (rk k) Y (rk_le k) rY).
have := minBA B' A'; rewrite /fit (bigD1 k) //= [leRHS](bigD1 k) //= => h.
rewrite -(ler_pmul2l (p_gt0 k)) -(ler_add2r (\sum_(i | i != k) p i * sqn (T - x *m (Wpre B A (rk i))^T))).
apply: le_trans h _; rewrite ler_add2l; apply: ler_sum => l _.
by rewrite (ler_wpmul2l (ltW (p_gt0 _))) // opt ?rk_le // mulmx_max_rank.
Qed.

End Whitened.

Section Spectral.

Variables (F : rcfType) (m n k : nat).
Variables (U : 'M[F]_(m, k)) (V : 'M[F]_(n, k)) (s : 'rV[F]_k).
Hypothesis orthoU : U^T *m U = 1%:M.
Hypothesis orthoV : V^T *m V = 1%:M.
Hypothesis s_ge0 : forall i, 0 <= s 0 i.
Hypothesis sorted_s : forall i j : 'I_k, (i <= j)%N -> s 0 j <= s 0 i.
Let W : 'M[F]_(m, n) := U *m diag_mx s *m V^T.

Definition spec_le p q (M : 'M[F]_(p, q)) (c : F) := forall v : 'cV[F]_q, nrm (M *m v) <= c * nrm v.

Lemma nrm_ortho p q (Q : 'M[F]_(p, q)) (v : 'cV_q) : Q^T *m Q = 1%:M -> nrm (Q *m v) = nrm v.
Proof. by move=> oQ; rewrite /nrm /sqn /frob trmx_mul mulmxA -(mulmxA v^T) oQ mulmx1. Qed.

Lemma nrm_orthoT p q (Q : 'M[F]_(p, q)) (v : 'cV_p) : Q^T *m Q = 1%:M -> nrm (Q^T *m v) <= nrm v.
Proof.
move=> oQ; rewrite /nrm; apply: ler_wsqrtr.
have hP : is_proj (Q *m Q^T) by split; rewrite ?trmx_mul ?trmxK // mulmxA -(mulmxA Q) oQ mulmx1.
rewrite -(sqn_tr v) (sqn_proj v^T hP) -[leLHS]addr0 ler_add ?sqn_ge0 //.
by rewrite (sqn_projE _ hP) trmxK /sqn /frob trmx_mul trmxK !mulmxA.
Qed.

Lemma sqn_diag (d : 'rV[F]_k) (w : 'cV[F]_k) : sqn (diag_mx d *m w) = \sum_i (d 0 i * w i 0) ^+ 2.
Proof. by rewrite sqnE; apply: eq_bigr => i _; rewrite big_ord1 mul_diag_mx mxE. Qed.

Lemma sqn_col (w : 'cV[F]_k) : sqn w = \sum_i w i 0 ^+ 2.
Proof. by rewrite sqnE; apply: eq_bigr => i _; rewrite big_ord1. Qed.

Lemma nrm_diag_le (d : 'rV[F]_k) (w : 'cV[F]_k) t : 0 <= t -> (forall i, 0 <= d 0 i <= t) ->
  nrm (diag_mx d *m w) <= t * nrm w.
Proof.
move=> t0 h; rewrite -[t]ger0_norm // -nrmZ /nrm; apply: ler_wsqrtr.
rewrite sqn_diag sqnZ sqn_col mulr_sumr; apply: ler_sum => i _; have /andP[d0 dt] := h i.
by rewrite exprMn ler_wpmul2r ?sqr_ge0 // ler_expn2r.
Qed.

Lemma nrm_diag_ge (d : 'rV[F]_k) (w : 'cV[F]_k) t : 0 <= t -> (forall i, w i 0 != 0 -> t <= d 0 i) ->
  t * nrm w <= nrm (diag_mx d *m w).
Proof.
move=> t0 h; rewrite -[t]ger0_norm // -nrmZ /nrm; apply: ler_wsqrtr.
rewrite sqn_diag sqnZ sqn_col mulr_sumr; apply: ler_sum => i _; rewrite exprMn.
case: (eqVneq (w i 0) 0) => [-> | /h ti]; first by rewrite expr0n !mulr0.
by rewrite ler_wpmul2r ?sqr_ge0 // ler_expn2r // nnegrE (le_trans t0).
Qed.

(* SVD-3. The spectral norm: no matrix of rank at most r is nearer to W than s_(r+1) ... *)
Theorem eckart_young_spectral (X : 'M[F]_(m, n)) r c (rk : (r < k)%N) : (\rank X <= r)%N ->
  spec_le (W - X) c -> s 0 (Ordinal rk) <= c.
Proof.
move=> rX hc; pose E : 'M[F]_(k, r.+1) := pid_mx r.+1.
have oE : E^T *m E = 1%:M by rewrite tr_pid_mx pid_mx_id // pid_mx_1.
have : \rank (X *m V *m E) != r.+1.
  by rewrite neq_ltn ltnS (leq_trans (mxrankM_maxl _ _)) // (leq_trans (mxrankM_maxl _ _)).
rewrite -mxrank_tr => /eqP nf.
have : kermx (X *m V *m E)^T != 0 by rewrite kermx_eq0; apply/eqP.
move=> /rowV0Pn[z /sub_kermxP zK nz]; pose v := V *m (E *m z^T).
have Xv : X *m v = 0 by apply: trmx_inj; rewrite trmx0 /v !mulmxA !(trmx_mul _ z^T) trmxK.
have nv : nrm v = nrm z^T by rewrite /v nrm_ortho // nrm_ortho.
have z0 : 0 < nrm z^T by rewrite lt_def nrm_eq0 nrm_ge0 andbT -[0]trmx0 (inj_eq trmx_inj).
rewrite -(ler_pmul2r z0) -nv; apply: le_trans (hc v); rewrite mulmxBl Xv subr0.
rewrite /W -!mulmxA nrm_ortho // /v (mulmxA V^T) orthoV mul1mx nv.
have nE : nrm z^T = nrm (E *m z^T) by rewrite nrm_ortho.
rewrite nE; apply: nrm_diag_ge => // i; case: (leqP i r) => [ir _ | ri]; first exact: sorted_s.
rewrite mxE big1 ?eqxx // => j _; rewrite [E]lock mxE -lock mxE.
by rewrite [i == j :> nat]gtn_eqF ?mul0r // (leq_ltn_trans _ ri) // -ltnS ltn_ord.
Qed.

(* SVD-3. ... and the first r components of its SVD reach that distance, at every rank at once. *)
Theorem svd_prefix_spectral r (rk : (r < k)%N) :
  spec_le (W - Wpre (U *m diag_mx s) V^T r) (s 0 (Ordinal rk)).
Proof.
move=> v; pose d : 'rV[F]_k := \row_i (s 0 i * (r <= i)%N%:R).
have -> : W - Wpre (U *m diag_mx s) V^T r = U *m diag_mx d *m V^T.
  rewrite WpreE /W -mulmxBl -(mulmxA U (diag_mx s)) -mulmxBr; congr (_ *m _ *m _).
  apply/matrixP=> i j; rewrite [LHS]mxE [X in _ + X]mxE mul_pidE !mxE.
  case: eqP => [-> | _]; last by rewrite mul0r subr0.
  by rewrite !mulr1n; case: (ltnP j r) => _; rewrite ?mulr1 ?mulr0 ?subrr ?subr0.
rewrite -!mulmxA nrm_ortho //; apply: le_trans (nrm_diag_le _ (s_ge0 (Ordinal rk)) _) _ => [i|].
  rewrite mxE; case: (leqP r i) => ri; last by rewrite mulr0 lexx s_ge0.
  by rewrite mulr1 s_ge0 sorted_s.
by rewrite ler_wpmul2l // nrm_orthoT.
Qed.

End Spectral.
