From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* How far the image of one weight lies inside that of another (LIN-11 to     *)
(* LIN-13): the score of arXiv:2509.17874v1, App. A.3, and a sound form.      *)
(*                                                                            *)
(*           ortho U == the columns of U are orthonormal                      *)
(* left_vectors W U  == the columns of U are the first left singular vectors  *)
(*                      of W: W = U diag(s) V^T, s >= 0 and decreasing. Where *)
(*                      s is 0 the vector is arbitrary.                       *)
(*  score Ul Us == norm_F(Ul^T Us)^2 / r, r the columns of Us: the paper's    *)
(*                                                    singular_vector_score   *)
(*     is_im_proj P W == P is the orthogonal projector onto the image of W    *)
(* proj_score Pl Ps W == tr(Ps Pl) / rank(W), the sound form     containment  *)
(******************************************************************************)

Section Score.

Variables (F : realFieldType) (m : nat).

Definition ortho r (U : 'M[F]_(m, r)) := U^T *m U = 1%:M.

Definition left_vectors n r (W : 'M[F]_(m, n)) (U : 'M[F]_(m, r)) :=
  ortho U /\ exists (s : 'rV[F]_r) (V : 'M[F]_(n, r)),
    [/\ V^T *m V = 1%:M, forall i, 0 <= s 0 i, forall i j : 'I_r, (i <= j)%N -> s 0 j <= s 0 i
      & W = U *m diag_mx s *m V^T].

Definition score r s (Ul : 'M[F]_(m, s)) (Us : 'M[F]_(m, r)) : F := sqn (Ul^T *m Us) / r%:R.

Lemma left_vectors_im n r (W : 'M[F]_(m, n)) (U : 'M[F]_(m, r)) : left_vectors W U -> im_sub W U.
Proof. by move=> [_ [s [V [_ _ _ ->]]]] x; exists (diag_mx s *m (V^T *m x)); rewrite !mulmxA. Qed.

(* With full rank the singular vectors span the image and nothing else. *)
Lemma left_vectors_free n r (W : 'M[F]_(m, n)) (U : 'M[F]_(m, r)) :
  left_vectors W U -> \rank W = r -> im_sub U W.
Proof.
move=> lW rW; have [oU _] := lW; apply/im_subP.
have /im_subP WU := left_vectors_im lW.
have rU : \rank U^T = r.
  by rewrite mxrank_tr; apply/eqP; rewrite eqn_leq rank_leq_col -{1}(mxrank1 F r) -oU mxrankM_maxr.
by rewrite -(geq_leqif (mxrank_leqif_sup WU)) rU mxrank_tr rW.
Qed.

Lemma score_factor r s (Ul : 'M[F]_(m, s)) (Us : 'M[F]_(m, r)) :
  (0 < r)%N -> ortho Ul -> ortho Us -> im_sub Us Ul -> score Ul Us = 1.
Proof.
move=> r0 oUl oUs /im_subP/submxP[D eD].
have eU : Us = Ul *m D^T by rewrite -[Us]trmxK eD trmx_mul trmxK.
have eD' : Ul^T *m Us = D^T by rewrite eU mulmxA oUl mul1mx.
have oD : D *m D^T = 1%:M.
  by move: oUs; rewrite /ortho eU trmx_mul trmxK mulmxA -(mulmxA D) oUl mulmx1.
by rewrite /score eD' /sqn /frob trmxK oD mxtrace1 divff // pnatr_eq0 -lt0n.
Qed.

(* LIN-11. The paper's score is 1 when Im(W_r) is inside Im(W_s) and W_r has rank r. *)
Theorem score_contained n r s (Ws Wl : 'M[F]_(m, n)) (Us : 'M[F]_(m, r)) (Ul : 'M[F]_(m, s)) :
  (0 < r)%N -> left_vectors Ws Us -> left_vectors Wl Ul -> \rank Ws = r -> im_sub Ws Wl -> score Ul Us = 1.
Proof.
move=> r0 lS lL rS sub; apply: score_factor => //; [exact: lL.1 | exact: lS.1 |].
move=> x; have [y ->] := left_vectors_free lS rS x; have [z ->] := sub y; exact: left_vectors_im lL z.
Qed.

Lemma score_whole r (Ul : 'M[F]_m) (Us : 'M[F]_(m, r)) : (0 < r)%N -> ortho Ul -> ortho Us -> score Ul Us = 1.
Proof.
move=> r0 oUl oUs; apply: score_factor => // x; exists (Ul^T *m (Us *m x)).
by rewrite [RHS]mulmxA (mulmx1C oUl) mul1mx.
Qed.

End Score.

(* LIN-12. On the smallest counterexample to Definition 2 the score is 1, although Im(W_1) is
   not inside Im(W_2): W_2 has rank 1, and its second singular vector fills the plane. *)
Theorem score_one_not_contained (F : realFieldType) (Us : 'M[F]_(2, 1)) (Ul : 'M[F]_(2, 2)) :
  left_vectors (Wpre (cexB F) (cexA F) 1) Us -> left_vectors (Wpre (cexB F) (cexA F) 2) Ul ->
  score Ul Us = 1 /\ ~ im_sub (Wpre (cexB F) (cexA F) 1) (Wpre (cexB F) (cexA F) 2).
Proof. by move=> [oUs _] [oUl _]; split; [exact: score_whole | exact: def2_false]. Qed.

Section Misleads.

Variable F : realFieldType.

(* The columns e_(f 0), e_(f 1), ... *)
Definition unit_cols m r (f : seq nat) : 'M[F]_(m, r) := \matrix_(i, j) (nat_of_ord i == nth 0%N f j)%:R.

(* b_0 = e_0, b_1 = 0, b_2 = e_2; a_0 = e_0, a_1 = 0, a_2 = e_1. *)
Definition cex2A : 'M[F]_(3, 3) := \matrix_(i, j) ((nat_of_ord i, nat_of_ord j) \in [:: (0, 0); (2, 1)]%N)%:R.
Definition cex2B : 'M[F]_(4, 3) := \matrix_(i, j) ((nat_of_ord i, nat_of_ord j) \in [:: (0, 0); (2, 2)]%N)%:R.

Local Ltac simp := rewrite /= ?(mulr1, mul1r, mulr0, mul0r, addr0, add0r).

Lemma unit_cols_ortho r (f : seq nat) : (forall j : 'I_r, nth 0%N f j < 4)%N ->
  (forall i j : 'I_r, nth 0%N f i = nth 0%N f j -> i = j) -> ortho (unit_cols 4 r f).
Proof.
move=> f4 fI; apply/matrixP=> i j; rewrite !mxE (bigD1 (Ordinal (f4 i))) //= big1 => [|k ki].
  rewrite !mxE /= eqxx mul1r addr0; case: (eqVneq i j) => [-> | ij]; first by rewrite eqxx.
  by case: eqP => // /fI e; case/eqP: ij.
by rewrite !mxE; move: ki; rewrite -(inj_eq val_inj) /= => /negPf ->; rewrite mul0r.
Qed.

Lemma cex2_small : left_vectors (Wpre cex2B cex2A 2) (unit_cols 4 2 [:: 0; 1]%N).
Proof.
split; first by apply: unit_cols_ortho => [] [[|[|//]] ?] // [[|[|//]] ?] // _; apply: val_inj.
exists (\row_j (j == 0)%:R), (unit_cols 3 2 [:: 0; 1]%N); split.
- by apply/matrixP=> [[[|[|//]] ?] [[|[|//]] ?]]; rewrite !mxE !big_ord_recl big_ord0 !mxE; simp.
- by move=> i; rewrite mxE ler0n.
- by move=> [[|[|//]] ?] [[|[|//]] ?] //= _; rewrite !mxE ler_nat.
apply/matrixP=> [[[|[|[|[|//]]]] ?] [[|[|[|//]]] ?]].
all: rewrite Wpre_coef big_mkcond mul_mx_diag mxE !big_ord_recl !big_ord0 !mxE; simp => //.
Qed.

Lemma cex2_large : left_vectors (Wpre cex2B cex2A 3) (unit_cols 4 3 [:: 0; 2; 3]%N).
Proof.
split; first by apply: unit_cols_ortho => [] [[|[|[|//]]] ?] // [[|[|[|//]]] ?] // _; apply: val_inj.
exists (\row_j (j < 2)%N%:R), (unit_cols 3 3 [:: 0; 1; 2]%N); split.
- by apply/matrixP=> [[[|[|[|//]]] ?] [[|[|[|//]]] ?]]; rewrite !mxE !big_ord_recl big_ord0 !mxE; simp.
- by move=> i; rewrite mxE ler0n.
- by move=> [[|[|[|//]]] ?] [[|[|[|//]]] ?] //= _; rewrite !mxE ler_nat.
apply/matrixP=> [[[|[|[|[|//]]]] ?] [[|[|[|//]]] ?]].
all: rewrite Wpre_coef big_mkcond mul_mx_diag mxE !big_ord_recl !big_ord0 !mxE; simp => //.
Qed.

(* LIN-12. And the score of a contained image can be 1/2: W_2 has rank 1, so its second
   singular vector is arbitrary, and may be chosen outside Im(W_3). *)
Theorem score_half_contained : exists (Us : 'M[F]_(4, 2)) (Ul : 'M[F]_(4, 3)),
  [/\ left_vectors (Wpre cex2B cex2A 2) Us, left_vectors (Wpre cex2B cex2A 3) Ul,
      im_sub (Wpre cex2B cex2A 2) (Wpre cex2B cex2A 3) & score Ul Us = 2%:R^-1].
Proof.
exists (unit_cols 4 2 [:: 0; 1]%N), (unit_cols 4 3 [:: 0; 2; 3]%N); split.
- exact: cex2_small.
- exact: cex2_large.
- apply: (@im_Wpre_nested_suff _ _ _ _ cex2B cex2A 2 isT); right.
  apply/negP=> /submxP[D /rowP/(_ 1)]; rewrite (rowpre_slice _ (isT : 2 <= 3)%N) !mxE !big_ord_recl big_ord0 !mxE; simp.
  by move/eqP; rewrite oner_eq0.
rewrite /score (_ : sqn _ = 1) ?mul1r // sqnE !big_ord_recl !big_ord0 !mxE !big_ord_recl !big_ord0 !mxE; simp.
by rewrite !(expr0n, expr1n) /= !addr0 ?add0r.
Qed.

End Misleads.

Section Projectors.

Variables (F : realFieldType) (m : nat).

Definition is_im_proj n (P : 'M[F]_m) (W : 'M[F]_(m, n)) := is_proj P /\ im_eq P W.
Definition proj_score n (Pl Ps : 'M[F]_m) (W : 'M[F]_(m, n)) : F := \tr (Ps *m Pl) / (\rank W)%:R.

Lemma proj_eq (P Q : 'M[F]_m) : is_proj P -> is_proj Q -> (P :=: Q)%MS -> P = Q.
Proof.
move=> [sP iP] [sQ iQ] ePQ.
have /submxP[C eC] : (P <= Q)%MS by rewrite ePQ.
have /submxP[D eD] : (Q <= P)%MS by rewrite ePQ.
have PQ : P *m Q = P by rewrite {1}eC -mulmxA iQ -eC.
have QP : Q *m P = Q by rewrite {1}eD -mulmxA iP -eD.
by rewrite -[LHS]sP -PQ trmx_mul sP sQ QP.
Qed.

Lemma tr_idempotent (P : 'M[F]_m) : P *m P = P -> \tr P = (\rank P)%:R.
Proof.
move=> iP; have e1 : row_base P *m col_base P = 1%:M.
  apply: (row_full_inj (col_base_full P)); apply: (row_free_inj (row_base_free P)).
  by rewrite /= mulmx1 -mulmxA -(mulmxA (row_base P)) mulmx_base mulmxA mulmx_base iP.
by rewrite -{1}[P]mulmx_base mxtrace_mulC e1 mxtrace1.
Qed.

Lemma im_proj_tr n (P : 'M[F]_m) (W : 'M[F]_(m, n)) : is_im_proj P W -> \tr P = (\rank W)%:R.
Proof.
move=> [[_ iP] [/im_subP h1 /im_subP h2]]; rewrite tr_idempotent //; congr (_%:R).
by rewrite -(mxrank_tr P) -(mxrank_tr W); apply/eqP; rewrite eqn_leq !mxrankS.
Qed.

(* tr(Ps Pl) falls short of tr(Ps) by what of the small image lies outside the large one. *)
Lemma tr_projs (Pl Ps : 'M[F]_m) : is_proj Pl -> is_proj Ps ->
  \tr Ps = \tr (Ps *m Pl) + sqn (Ps *m (1%:M - Pl)).
Proof.
move=> hl [ss ids]; have := sqn_proj Ps hl; rewrite (sqn_projE Ps hl).
have -> : sqn Ps = \tr Ps by rewrite /sqn /frob ss ids.
by rewrite ss mxtrace_mulC mulmxA ids.
Qed.

(* LIN-13. The projector form is between 0 and 1 ... *)
Theorem proj_score_le1 n1 n2 (Wl : 'M[F]_(m, n1)) (Ws : 'M[F]_(m, n2)) (Pl Ps : 'M[F]_m) :
  is_im_proj Pl Wl -> is_im_proj Ps Ws -> (0 < \rank Ws)%N -> 0 <= proj_score Pl Ps Ws <= 1.
Proof.
move=> [hl _] hs r0; have [hps _] := hs; have r0' : 0 < (\rank Ws)%:R :> F by rewrite ltr0n.
rewrite /proj_score divr_ge0 ?ler_pdivr_mulr ?mul1r ?ler0n //=.
  by rewrite -(im_proj_tr hs) (tr_projs hl hps) ler_addl sqn_ge0.
have [ss ids] := hps; have -> : \tr (Ps *m Pl) = sqn (Ps *m Pl).
  by rewrite (sqn_projE _ hl) ss [RHS]mxtrace_mulC mulmxA ids.
exact: sqn_ge0.
Qed.

(* LIN-13. ... and is 1 exactly when the image of Ws is inside that of Wl. *)
Theorem proj_score_iff n1 n2 (Wl : 'M[F]_(m, n1)) (Ws : 'M[F]_(m, n2)) (Pl Ps : 'M[F]_m) :
  is_im_proj Pl Wl -> is_im_proj Ps Ws -> (0 < \rank Ws)%N -> proj_score Pl Ps Ws = 1 <-> im_sub Ws Wl.
Proof.
move=> [hl [lW Wl_]] hs r0; have [hps [sW Ws_]] := hs.
have r0' : (\rank Ws)%:R != 0 :> F by rewrite pnatr_eq0 -lt0n.
have E : proj_score Pl Ps Ws = 1 <-> sqn (Ps *m (1%:M - Pl)) == 0.
  rewrite /proj_score -(im_proj_tr hs) in r0' *; have eH := tr_projs hl hps; split=> [e | /eqP z].
    have {}e : \tr (Ps *m Pl) = \tr Ps by rewrite -[LHS](divfK r0') e mul1r.
    by move: eH; rewrite e -[X in X = _]addr0 => /addrI <-.
  by move: eH; rewrite z addr0 => <-; rewrite divff.
have [sl il] := hl; have [ss _] := hps.
rewrite E sqn_eq0 mulmxBr mulmx1 subr_eq0; split=> [/eqP e x | h].
  have [y ->] := Ws_ x; have [z ez] := lW (Ps *m y).
  have eT : Ps = Pl *m Ps by rewrite -[LHS]ss {1}e trmx_mul sl ss.
  by exists z; rewrite -ez mulmxA -eT.
have : (Ps <= Pl)%MS.
  rewrite -ss -[X in (_ <= X)%MS]sl; apply/im_subP=> x.
  by have [y ->] := sW x; have [z ->] := h y; exact: Wl_.
by move=> /submxP[D ->]; rewrite -mulmxA il.
Qed.

End Projectors.
