From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* The Frobenius inner product and norm (on vectors: the Euclidean ones), and *)
(* orthogonal projectors.                                                     *)
(*                                                                            *)
(*         frob P Q == sum of P i j * Q i j                      (P * Q).sum()*)
(*            sqn M == squared norm, over any ordered field      (M * M).sum()*)
(*            nrm M == norm, over a real closed field   np.linalg.norm(M)     *)
(*        is_proj P == P is symmetric and idempotent                          *)
(******************************************************************************)

Section Frob.

Variable F : fieldType.

Definition frob p q (P Q : 'M[F]_(p, q)) : F := \tr (P^T *m Q).

Lemma frobE p q (P Q : 'M[F]_(p, q)) : frob P Q = \sum_i \sum_j P i j * Q i j.
Proof.
rewrite exchange_big; apply: eq_bigr => j _.
by rewrite mxE; apply: eq_bigr => i _; rewrite mxE.
Qed.

Lemma frobDr p q (P Q Q' : 'M[F]_(p, q)) : frob P (Q + Q') = frob P Q + frob P Q'.
Proof. by rewrite /frob mulmxDr mxtraceD. Qed.

Lemma frobZr p q a (P Q : 'M[F]_(p, q)) : frob P (a *: Q) = a * frob P Q.
Proof. by rewrite /frob -scalemxAr mxtraceZ. Qed.

Lemma frobNr p q (P Q : 'M[F]_(p, q)) : frob P (- Q) = - frob P Q.
Proof. by rewrite -scaleN1r frobZr mulN1r. Qed.

Lemma frob_sumr p q I (s : seq I) (C : pred I) (P : 'M[F]_(p, q)) Q_ :
  frob P (\sum_(i <- s | C i) Q_ i) = \sum_(i <- s | C i) frob P (Q_ i).
Proof. by rewrite /frob mulmx_sumr raddf_sum. Qed.

Lemma frob_suml p q I (s : seq I) (C : pred I) (Q : 'M[F]_(p, q)) P_ :
  frob (\sum_(i <- s | C i) P_ i) Q = \sum_(i <- s | C i) frob (P_ i) Q.
Proof. by rewrite /frob raddf_sum mulmx_suml raddf_sum. Qed.

Lemma frob_mulr p q r (P : 'M[F]_(p, r)) (Q : 'M[F]_(p, q)) (N : 'M[F]_(q, r)) :
  frob P (Q *m N) = frob (P *m N^T) Q.
Proof. by rewrite /frob trmx_mul trmxK mulmxA mxtrace_mulC mulmxA. Qed.

Lemma frob_mull p q r (P : 'M[F]_(p, r)) (N : 'M[F]_(p, q)) (Q : 'M[F]_(q, r)) :
  frob P (N *m Q) = frob (N^T *m P) Q.
Proof. by rewrite /frob trmx_mul trmxK mulmxA. Qed.

Lemma frob_tr p q (P Q : 'M[F]_(p, q)) : frob P^T Q^T = frob P Q.
Proof. by rewrite /frob trmxK -mxtrace_tr trmx_mul trmxK mxtrace_mulC. Qed.

(* At most one matrix represents a linear form: gradients are unique. *)
Lemma frob_inj p q (P P' : 'M[F]_(p, q)) :
  (forall D, frob P D = frob P' D) -> P = P'.
Proof.
have E (Q : 'M[F]_(p, q)) i j : frob Q (delta_mx i j) = Q i j.
  rewrite frobE (bigD1 i) //= (bigD1 j) //= mxE !eqxx mulr1.
  rewrite !big1 ?addr0 // => [k ki | k kj].
    by apply: big1 => l _; rewrite mxE (negPf ki) mulr0.
  by rewrite mxE (negPf kj) andbF mulr0.
by move=> h; apply/matrixP=> i j; rewrite -!E h.
Qed.

End Frob.

Section SqNorm.

Variable F : realFieldType.

Definition sqn p q (M : 'M[F]_(p, q)) : F := frob M M.

Lemma frobC p q (P Q : 'M[F]_(p, q)) : frob P Q = frob Q P.
Proof. by rewrite !frobE; apply: eq_bigr=> i _; apply: eq_bigr=> j _; rewrite mulrC. Qed.

Lemma frobDl p q (P P' Q : 'M[F]_(p, q)) : frob (P + P') Q = frob P Q + frob P' Q.
Proof. by rewrite frobC frobDr !(frobC Q). Qed.

Lemma frobZl p q a (P Q : 'M[F]_(p, q)) : frob (a *: P) Q = a * frob P Q.
Proof. by rewrite frobC frobZr frobC. Qed.

Lemma sqnE p q (M : 'M[F]_(p, q)) : sqn M = \sum_i \sum_j M i j ^+ 2.
Proof. by rewrite /sqn frobE; apply: eq_bigr=> i _; apply: eq_bigr=> j _; rewrite expr2. Qed.

Lemma sqn_ge0 p q (M : 'M[F]_(p, q)) : 0 <= sqn M.
Proof. by rewrite sqnE; do 2!apply: sumr_ge0 => ? _; rewrite sqr_ge0. Qed.

Lemma sqn0 p q : sqn (0 : 'M[F]_(p, q)) = 0.
Proof. by rewrite /sqn /frob mulmx0 linear0. Qed.

Lemma sqn_eq0 p q (M : 'M[F]_(p, q)) : (sqn M == 0) = (M == 0).
Proof.
apply/idP/eqP=> [|->]; last by rewrite sqn0.
have h i : 0 <= \sum_j M i j ^+ 2 by apply: sumr_ge0 => j _; rewrite sqr_ge0.
rewrite sqnE psumr_eq0 // => /allP e; apply/matrixP=> i j; rewrite mxE.
have := e i (mem_index_enum _); rewrite /= psumr_eq0 => [|k _]; last exact: sqr_ge0.
by move/allP/(_ j (mem_index_enum _)); rewrite /= sqrf_eq0 => /eqP.
Qed.

Lemma sqnD p q (P Q : 'M[F]_(p, q)) : sqn (P + Q) = sqn P + frob P Q *+ 2 + sqn Q.
Proof. by rewrite /sqn frobDr !frobDl (frobC Q P) mulr2n !addrA. Qed.

Lemma sqnZ p q a (P : 'M[F]_(p, q)) : sqn (a *: P) = a ^+ 2 * sqn P.
Proof. by rewrite /sqn frobZr frobZl mulrA -expr2. Qed.

Lemma sqnN p q (P : 'M[F]_(p, q)) : sqn (- P) = sqn P.
Proof. by rewrite -scaleN1r sqnZ sqrrN expr1n mul1r. Qed.

Lemma sqn_tr p q (P : 'M[F]_(p, q)) : sqn P^T = sqn P.
Proof. by rewrite /sqn /frob trmxK mxtrace_mulC. Qed.

Lemma cauchy_schwarz p q (P Q : 'M[F]_(p, q)) : frob P Q ^+ 2 <= sqn P * sqn Q.
Proof.
case: (eqVneq Q 0) => [-> | nQ]; first by rewrite {1}/frob mulmx0 linear0 sqn0 expr0n mulr0.
have pQ : 0 < sqn Q by rewrite lt_def sqn_ge0 sqn_eq0 nQ.
have := sqn_ge0 (sqn Q *: P + (- frob P Q) *: Q).
rewrite sqnD !sqnZ frobZl frobZr sqrrN.
rewrite mulNr mulrN mulr2n -expr2 [frob P Q ^+ 2 * _]mulrC addrA addrNK.
by rewrite expr2 -mulrA -mulrBr pmulr_rge0 // subr_ge0 mulrC.
Qed.

(* norm(P Q) <= norm(P) norm(Q), squared. *)
Lemma sqnM p q r (P : 'M[F]_(p, q)) (Q : 'M[F]_(q, r)) :
  sqn (P *m Q) <= sqn P * sqn Q.
Proof.
have E i k : (P *m Q) i k ^+ 2 <= sqn (row i P) * sqn (col k Q).
  have := cauchy_schwarz (row i P) (col k Q)^T; rewrite sqn_tr.
  rewrite frobE big_ord1 (eq_bigr (fun j => P i j * Q j k)) => [|j _].
    by rewrite mxE.
  by rewrite !mxE.
rewrite sqnE; apply: le_trans (_ : \sum_i \sum_k sqn (row i P) * sqn (col k Q) <= _).
  by apply: ler_sum => i _; apply: ler_sum => k _; exact: E.
rewrite le_eqVlt; apply/orP; left; apply/eqP.
have -> : sqn P = \sum_i sqn (row i P).
  rewrite sqnE; apply: eq_bigr => i _; rewrite sqnE big_ord1.
  by apply: eq_bigr => j _; rewrite mxE.
have -> : sqn Q = \sum_k sqn (col k Q).
  rewrite -sqn_tr sqnE; apply: eq_bigr => k _; rewrite -sqn_tr sqnE big_ord1.
  by apply: eq_bigr => j _; rewrite !mxE.
by rewrite big_distrlr.
Qed.

Lemma sqn_rank1 p q (b : 'cV[F]_p) (a : 'rV[F]_q) : sqn (b *m a) = sqn b * sqn a.
Proof.
have -> : sqn b = \sum_i b i 0 ^+ 2 by rewrite sqnE; apply: eq_bigr => i _; rewrite big_ord1.
have -> : sqn a = \sum_j a 0 j ^+ 2 by rewrite sqnE big_ord1.
rewrite sqnE big_distrlr; apply: eq_bigr => i _; apply: eq_bigr => j _.
by rewrite mxE big_ord1 exprMn.
Qed.

End SqNorm.

Section Norm.

Variable F : rcfType.

Definition nrm p q (M : 'M[F]_(p, q)) : F := Num.sqrt (sqn M).

Lemma nrm_ge0 p q (M : 'M[F]_(p, q)) : 0 <= nrm M.
Proof. exact: sqrtr_ge0. Qed.

Lemma nrm_sqr p q (M : 'M[F]_(p, q)) : nrm M ^+ 2 = sqn M.
Proof. by rewrite sqr_sqrtr ?sqn_ge0. Qed.

Lemma nrm0 p q : nrm (0 : 'M[F]_(p, q)) = 0.
Proof. by rewrite /nrm sqn0 sqrtr0. Qed.

Lemma nrm_eq0 p q (M : 'M[F]_(p, q)) : (nrm M == 0) = (M == 0).
Proof. by rewrite -[_ == 0]sqrf_eq0 nrm_sqr sqn_eq0. Qed.

Lemma nrmZ p q a (M : 'M[F]_(p, q)) : nrm (a *: M) = `|a| * nrm M.
Proof. by rewrite /nrm sqnZ sqrtrM ?sqr_ge0 // sqrtr_sqr. Qed.

Lemma nrm_triangle p q (P Q : 'M[F]_(p, q)) : nrm (P + Q) <= nrm P + nrm Q.
Proof.
rewrite -(@ler_pexpn2r _ 2) ?nnegrE ?addr_ge0 ?nrm_ge0 //.
rewrite sqrrD !nrm_sqr sqnD ler_add2r ler_add2l ler_pmuln2r //.
apply: le_trans (ler_norm _) _; rewrite -sqrtr_sqr -sqrtrM ?sqn_ge0 //.
by apply: ler_wsqrtr; exact: cauchy_schwarz.
Qed.

Lemma nrmN p q (P : 'M[F]_(p, q)) : nrm (- P) = nrm P.
Proof. by rewrite /nrm sqnN. Qed.

Lemma nrm_tr p q (P : 'M[F]_(p, q)) : nrm P^T = nrm P.
Proof. by rewrite /nrm sqn_tr. Qed.

Lemma frob_le p q (P Q : 'M[F]_(p, q)) : `|frob P Q| <= nrm P * nrm Q.
Proof. by rewrite -sqrtr_sqr -sqrtrM ?sqn_ge0 //; apply: ler_wsqrtr; exact: cauchy_schwarz. Qed.

Lemma nrm_sum p q I (s : seq I) (C : pred I) (M_ : I -> 'M[F]_(p, q)) :
  nrm (\sum_(i <- s | C i) M_ i) <= \sum_(i <- s | C i) nrm (M_ i).
Proof.
elim/big_rec2: _ => [|i x y _ h]; first by rewrite nrm0.
by apply: le_trans (nrm_triangle _ _) _; rewrite ler_add2l.
Qed.

Lemma nrmM p q r (P : 'M[F]_(p, q)) (Q : 'M[F]_(q, r)) :
  nrm (P *m Q) <= nrm P * nrm Q.
Proof.
by rewrite /nrm -sqrtrM ?sqn_ge0 //; apply: ler_wsqrtr; exact: sqnM.
Qed.

Lemma nrm_rank1 p q (b : 'cV[F]_p) (a : 'rV[F]_q) : nrm (b *m a) = nrm b * nrm a.
Proof. by rewrite /nrm sqn_rank1 sqrtrM ?sqn_ge0. Qed.

End Norm.

Section Projection.

Variable F : realFieldType.

Definition is_proj n (P : 'M[F]_n) := P^T = P /\ P *m P = P.

Lemma frob_proj0 m n (P : 'M[F]_n) (M N : 'M[F]_(m, n)) :
  is_proj P -> frob (M *m P) (N *m (1%:M - P)) = 0.
Proof.
move=> [sP iP]; rewrite /frob trmx_mul sP mulmxA mxtrace_mulC !mulmxA.
by rewrite mulmxBl mul1mx iP subrr !mul0mx linear0.
Qed.

Lemma sqn_proj m n (P : 'M[F]_n) (M : 'M[F]_(m, n)) :
  is_proj P -> sqn M = sqn (M *m P) + sqn (M *m (1%:M - P)).
Proof.
have e : M = M *m P + M *m (1%:M - P) by rewrite -mulmxDr addrC subrK mulmx1.
by move=> hP; rewrite {1}e sqnD frob_proj0 // mul0rn addr0.
Qed.

Lemma sqn_proj_le m n (P : 'M[F]_n) (M : 'M[F]_(m, n)) :
  is_proj P -> sqn (M *m (1%:M - P)) <= sqn M.
Proof. by move=> hP; rewrite [leRHS](sqn_proj _ hP) ler_addr sqn_ge0. Qed.

Lemma sqn_projE m n (P : 'M[F]_n) (M : 'M[F]_(m, n)) :
  is_proj P -> sqn (M *m P) = \tr (M *m P *m M^T).
Proof.
by move=> [sP iP]; rewrite /sqn /frob mxtrace_mulC trmx_mul sP mulmxA -(mulmxA M P P) iP.
Qed.

Lemma projC n (P : 'M[F]_n) : is_proj P -> is_proj (1%:M - P).
Proof.
move=> [sP iP]; split; first by rewrite linearB /= trmx1 sP.
by rewrite mulmxBr mulmx1 mulmxBl mul1mx iP subrr subr0.
Qed.

End Projection.

Section RowProjector.

Variable F : realFieldType.

Lemma gram_unit k n (Q : 'M[F]_(k, n)) : row_free Q -> Q *m Q^T \in unitmx.
Proof.
move=> fQ; rewrite -row_free_unit -kermx_eq0.
apply/eqP/row_matrixP=> i; rewrite row0; set v := row i _.
have vQ0 : v *m (Q *m Q^T) = 0 by rewrite /v -row_mul mulmx_ker row0.
have : sqn (v *m Q) = 0.
  by rewrite -sqn_tr /sqn /frob trmxK trmx_mul mulmxA -(mulmxA v) vQ0 mul0mx linear0.
by move/eqP; rewrite sqn_eq0 => /eqP e; apply: (row_free_inj fQ); rewrite /= e mul0mx.
Qed.

(* The orthogonal projector onto the row space of X exists; no square roots needed. *)
Lemma row_projector m n (X : 'M[F]_(m, n)) :
  exists P : 'M[F]_n, [/\ is_proj P, X *m P = X, (P <= X)%MS & \tr P = (\rank X)%:R].
Proof.
have := mulmx_base X; have := row_base_free X; have := eq_row_base X.
move: (\rank X) (row_base X) (col_base X) => k Q C eQ fQ eX; have uG := gram_unit fQ.
exists (Q^T *m invmx (Q *m Q^T) *m Q); split.
- split; first by rewrite !trmx_mul trmxK trmx_inv trmx_mul trmxK mulmxA.
  rewrite !mulmxA -(mulmxA _ Q Q^T) -(mulmxA _ (Q *m Q^T)) mulmxV // mulmx1.
  by [].
- rewrite -eX -!mulmxA; congr (_ *m _).
  by rewrite !mulmxA mulmxV // mul1mx.
- by rewrite -eQ submxMl.
by rewrite -mulmxA mxtrace_mulC -mulmxA mulVmx // mxtrace1.
Qed.

End RowProjector.
